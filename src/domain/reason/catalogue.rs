//! How a table of codes is written down: once, a row for each.

/// Makes an enum of rows `/// MEANING`, `Variant = "code", VALUE...;`. A variant's documentation is its meaning; the
/// values beyond the code have the types in parentheses after the enum's name, and `row()` has them all.
macro_rules! catalogue {
    (
        $(#[$about:meta])*
        pub enum $name:ident ($($type:ty),*) {
            $(
                #[doc = $meaning:literal]
                $variant:ident = $code:literal $(, $value:expr)*;
            )*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $(
                #[doc = $meaning]
                $variant,
            )*
        }

        impl $name {
            /// All of them, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Code, meaning as it stands in the comment, and the values.
            fn row(self) -> (&'static str, &'static str $(, $type)*) {
                match self {
                    $(Self::$variant => ($code, $meaning $(, $value)*),)*
                }
            }

            /// The stable kebab-case code.
            #[must_use]
            pub fn code(self) -> &'static str {
                self.row().0
            }

            /// What it means, in a sentence or two.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                self.row().1.trim_start()
            }

            /// The one with this code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.code() == code)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.code())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    };
}

pub(super) use catalogue;
