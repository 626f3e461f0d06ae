"""The performance harness: it measures and never asserts."""
