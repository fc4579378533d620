//! What sync policies refuse once types are known, and in which words. What is refused before that, at the attribute
//! itself, is in the tests of the derive.

/// B15: every case is a file of `tests/ui/` and the compiler's answer beside it.
#[test]
fn what_does_not_fit_its_type_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
