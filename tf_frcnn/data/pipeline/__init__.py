"""The pipeline from records to padded batches."""
