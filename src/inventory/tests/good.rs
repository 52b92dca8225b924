//! What good inventories come to.
