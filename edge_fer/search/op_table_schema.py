"""What the table of operations is called; read by the search, written where no torch is."""

SCHEMA = "edge-fer/op-table/1"
PRECISIONS = ("fp32", "int8")
