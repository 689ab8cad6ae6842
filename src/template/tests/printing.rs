//! `print`, `println`, `printf` and the text of every kind of value, as Go's fmt has them.

use super::check;

#[test]
fn print_puts_spaces_between_operands_that_are_not_text() {
    check(&[
        ("{{ print 1 2 \"a\" \"b\" 3 4.5 true }}", "1 2ab3 4.5 true"),
        ("{{ println 1 \"a\" }}|", "1 a\n|"),
        ("{{ print }}|{{ println }}|", "|\n|"),
        ("{{ print nil }} {{ print (args).x }}", "<nil> <nil>"),
    ]);
}

#[test]
fn values_print_as_go_prints_them() {
    check(&[
        ("{{ query \"m\" | first }}", "{map[__name__:metric __value__:text instance:b] 21}"),
        ("{{ args 1 \"a\" (args 2.5) }}", "map[arg0:1 arg1:a arg2:map[arg0:2.5]]"),
        (
            "{{ printf \"%v %+v %T\" $labels $value $labels }}",
            "map[__name__:up instance:db1.example.com:9100 job:node] +1234.5 map[string]string",
        ),
        ("{{ printf \"%T %T %T %T %T\" 1 1.0 \"a\" true nil }}", "int float64 string bool <nil>"),
        ("{{ printf \"%#v %#v %#v\" \"a\\n\" 1 (args \"b\") }}", "\"a\\n\" 1 map[string]interface {}{\"arg0\":\"b\"}"),
        ("{{ printf \"%s\" (args 1) }}", "map[arg0:%!s(int=1)]"),
        ("{{ printf \"%d\" (args 1 2) }}", "map[%!d(string=arg0):1 %!d(string=arg1):2]"),
    ]);
}

#[test]
fn printf_writes_integers() {
    check(&[
        ("{{ printf \"%d|%5d|%-5d|%05d|%+d|% d\" 42 42 42 42 42 42 }}", "42|   42|42   |00042|+42| 42"),
        ("{{ printf \"%d|%05d|%.5d|%8.5d|%.0d|\" -42 -42 -42 -42 0 }}", "-42|-0042|-00042|  -00042||"),
        ("{{ printf \"%b %o %O %x %X %#x %#o %#b\" 10 10 10 255 255 255 8 5 }}", "1010 12 0o12 ff FF 0xff 010 0b101"),
        ("{{ printf \"%c %q %U %#U\" 'x' 'x' 'x' 'é' }}", "x 'x' U+0078 U+00E9 'é'"),
        ("{{ printf \"%*d|%-*d|%.*f\" 5 42 5 42 1 2.55 }}", "   42|42   |2.5"),
        ("{{ printf \"%6.2f|%-8.1f|%08.3f|%+.1f\" 3.14159 3.14159 -3.14159 3.0 }}", "  3.14|3.1     |-003.142|+3.0"),
    ]);
}

#[test]
fn printf_writes_floats() {
    check(&[
        (
            "{{ printf \"%f %.2f %.0f %e %.3e %E\" 1.5 1.005 2.5 123456.0 123456.0 1.5 }}",
            "1.500000 1.00 2 1.234560e+05 1.235e+05 1.500000E+00",
        ),
        ("{{ printf \"%g %g %g %g %G\" 100000.0 1000000.0 0.0001 0.00001 1e-10 }}", "100000 1e+06 0.0001 1e-05 1E-10"),
        (
            "{{ printf \"%.3g %.3g %.3g %.10g %.0g\" 1234.0 0.00012345 123.0 0.1 15.0 }}",
            "1.23e+03 0.000123 123 0.1 2e+01",
        ),
        ("{{ printf \"%v %v %v\" 1e20 123456789.0 0.000012 }}", "1e+20 1.23456789e+08 1.2e-05"),
        ("{{ printf \"%#g %#.3g %#.0f\" 1.0 100.0 3.0 }}", "1.00000 100. 3."),
        ("{{ printf \"%x %.2x %X %b\" 3.0 1.999 0.5 1.0 }}", "0x1.8p+01 0x1.00p+01 0X1P-01 4503599627370496p-52"),
        ("{{ printf \"%5.1f|%05d|%x\" (\"NaN\" | toDuration).Seconds 1 0.0 }}", "  0.0|00001|0x0p+00"),
        ("{{ printf \"%s %v\" (humanize \"+Inf\") (humanize \"-Inf\") }}", "+Inf -Inf"),
    ]);
}

#[test]
fn printf_writes_text() {
    check(&[
        (r#"{{ printf "%s|%5s|%-5s|%.2s|%5.1s|" "abc" "abc" "abc" "abc" "abc" }}"#, "abc|  abc|abc  |ab|    a|"),
        (r#"{{ printf "%q %#q %+q" "a\"b\n" "raw" "é" }}"#, r#""a\"b\n" `raw` "\u00e9""#),
        (
            r#"{{ printf "%x %X % x %#x % #x" "abc" "abc" "abc" "abc" "ab" }}"#,
            "616263 616263 61 62 63 0x616263 0x61 0x62",
        ),
        (r#"{{ printf "%3s|%-3s|" "é" "é" }}"#, "  é|é  |"),
        (r#"{{ printf "%t %v %5t|" true false true }}"#, "true false  true|"),
        (r#"{{ printf "%5.1f%%" 99.44 }}"#, " 99.4%"),
    ]);
}

#[test]
fn printf_notes_its_mistakes_in_the_text() {
    check(&[
        (r#"{{ printf "%d" "hi" }}"#, "%!d(string=hi)"),
        ("{{ printf \"%d\" $value }}", "%!d(float64=1234.5)"),
        (r#"{{ printf "%s" 1 }}"#, "%!s(int=1)"),
        (r#"{{ printf "%f" 1 }}"#, "%!f(int=1)"),
        (r#"{{ printf "%s %s" true nil }}"#, "%!s(bool=true) %!s(<nil>)"),
        (r#"{{ printf "%d %d" 1 }}"#, "1 %!d(MISSING)"),
        (r#"{{ printf "%d" 1 2 "x" }}"#, "1%!(EXTRA int=2, string=x)"),
        (r#"{{ printf "%" }}"#, "%!(NOVERB)"),
        (r#"{{ printf "%z" 1 }}"#, "%!z(int=1)"),
        (r#"{{ printf "%[2]d %[1]d" 1 2 }}"#, "2 1"),
        (r#"{{ printf "%[3]d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%[x]d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%*d" "a" 1 }}"#, "%!(BADWIDTH)1"),
        (r#"{{ printf "%v" nil }}"#, "<nil>"),
    ]);
}
