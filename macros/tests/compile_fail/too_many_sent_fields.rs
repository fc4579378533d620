use terrane_macros::Replicate;

#[derive(Replicate)]
#[rustfmt::skip]
struct Wide {
    #[sync(broadcast)] field_0: u8,
    #[sync(broadcast)] field_1: u8,
    #[sync(broadcast)] field_2: u8,
    #[sync(broadcast)] field_3: u8,
    #[sync(broadcast)] field_4: u8,
    #[sync(broadcast)] field_5: u8,
    #[sync(broadcast)] field_6: u8,
    #[sync(broadcast)] field_7: u8,
    #[sync(broadcast)] field_8: u8,
    #[sync(broadcast)] field_9: u8,
    #[sync(broadcast)] field_10: u8,
    #[sync(broadcast)] field_11: u8,
    #[sync(broadcast)] field_12: u8,
    #[sync(broadcast)] field_13: u8,
    #[sync(broadcast)] field_14: u8,
    #[sync(broadcast)] field_15: u8,
    #[sync(broadcast)] field_16: u8,
    #[sync(broadcast)] field_17: u8,
    #[sync(broadcast)] field_18: u8,
    #[sync(broadcast)] field_19: u8,
    #[sync(broadcast)] field_20: u8,
    #[sync(broadcast)] field_21: u8,
    #[sync(broadcast)] field_22: u8,
    #[sync(broadcast)] field_23: u8,
    #[sync(broadcast)] field_24: u8,
    #[sync(broadcast)] field_25: u8,
    #[sync(broadcast)] field_26: u8,
    #[sync(broadcast)] field_27: u8,
    #[sync(broadcast)] field_28: u8,
    #[sync(broadcast)] field_29: u8,
    #[sync(broadcast)] field_30: u8,
    #[sync(broadcast)] field_31: u8,
    #[sync(broadcast)] field_32: u8,
}

fn main() {}
