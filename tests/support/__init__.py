"""What tests share: corpora, tiny rows, records, stand-ins for a GPU and for W&B."""
