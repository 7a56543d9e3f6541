"""Reference sets of targets: drawn rows, Hub data sets with texts of fields, the exemplars of harness tasks."""
