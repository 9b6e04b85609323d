"""From records to padded batches."""
