//! Instruction sets that differ from another one in a few methods.

/// Delegates the operations on f32 to the instruction set `self.0` of the given type. The methods that are named after
/// `and` are delegated as well.
macro_rules! delegate_to_inner {
    ($inner:ty $(, and $($bf16:tt)*)?) => {
        type Vector = <$inner as Simd>::Vector;
        const LANES: usize = <$inner>::LANES;
        const STREAMS: bool = <$inner>::STREAMS;

        $crate::cpu::simd::delegate::delegate_methods! {
            splat(x: f32) -> Self::Vector;
            load(from: &[f32]) -> Self::Vector;
            store(vector: Self::Vector, to: &mut [f32]) -> ();
            stream(vector: Self::Vector, to: &mut [f32]) -> ();
            add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
            sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
            mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
            fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
            div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
            scale_by_power_of_two(a: Self::Vector, t: Self::Vector) -> Self::Vector;
            relu(a: Self::Vector) -> Self::Vector;
            mask_positive(test: Self::Vector, value: Self::Vector) -> Self::Vector;
            select_greater(a: Self::Vector, b: Self::Vector, x: Self::Vector, y: Self::Vector) -> Self::Vector;
            load_bf16(from: &[half::bf16]) -> Self::Vector;
            copy_row_bf16(from: &[half::bf16], to: &mut [half::bf16]) -> ();
            interleave(even: &[half::bf16], odd: &[half::bf16], to: &mut [f32]) -> ();
            transpose_block(from: &[f32], pitch: usize, to: &mut [f32], to_pitch: usize) -> ();
            $($($bf16)*)?
        }

        #[inline(always)]
        fn prefetch<T>(self, from: &[T], at: usize) {
            self.0.prefetch(from, at);
        }
    };
}

macro_rules! delegate_methods {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $type),*) -> $result {
                self.0.$name($($argument),*)
            }
        )*
    };
}

pub(super) use {delegate_methods, delegate_to_inner};
