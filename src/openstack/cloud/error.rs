//! Why a cloud cannot be meant.

/// What is wrong with what is said of a cloud. No text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// Nothing says which cloud.
    #[error("nothing says which cloud is meant: no --os-cloud, no OS_CLOUD, no OS_AUTH_URL")]
    NotNamed {
        /// Clouds that could be.
        known: Vec<String>,
    },
    /// The files do not have it.
    #[error("no cloud is called `{name}` in {file}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        file: String,
        /// Clouds that are there.
        known: Vec<String>,
    },
    /// There is no clouds.yaml.
    #[error("cloud `{name}` is asked for, and there is no clouds.yaml")]
    NoFile {
        /// What was asked for.
        name: String,
    },
    /// A file is not what it should be.
    #[error("{file}: {problem}")]
    File {
        /// Which file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Something that is needed is not said.
    #[error("{place} has no `{key}`")]
    Missing {
        /// Which cloud.
        place: String,
        /// What is missing, by its key in clouds.yaml.
        key: &'static str,
    },
    /// A value is not usable.
    #[error("{place}: `{key}` {problem}")]
    Value {
        /// Which cloud.
        place: String,
        /// The key in clouds.yaml.
        key: String,
        /// What is wrong; never the value of a secret.
        problem: String,
    },
}
