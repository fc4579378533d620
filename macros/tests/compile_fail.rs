//! What the derives refuse, and in which words.
//!
//! The cases name nothing but the derives: what is refused is refused before any type is looked up, so the engine
//! need not be built once more for them.

/// B1, C3: every case is a file of `tests/compile_fail/` and the compiler's answer beside it.
#[test]
fn what_is_not_declared_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
