//! Sums that do not lose small values beside large ones, as Prometheus computes them (util/kahansum).

/// A running sum with Neumaier's compensation (Kahan–Babuška).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// What was summed, rounded at each step.
    pub sum: f64,
    /// What rounding took away.
    pub compensation: f64,
}

impl Sum {
    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// The sum.
    pub fn total(self) -> f64 {
        self.sum + self.compensation
    }
}
