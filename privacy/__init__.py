"""The mathematics of privacy that node, hub and auditors rely on; knows no network, no operator, no hub."""
