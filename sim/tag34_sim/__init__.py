"""The golden model, the simulated gateware as a device, and the demo with its counterparties and faults."""
