"""One LightningDataModule per task, and what they share: sources with checksums, vocabulary, batching."""
