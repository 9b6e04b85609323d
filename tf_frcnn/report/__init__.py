"""Where a detector's mAP is lost, as a page and as JSON."""
