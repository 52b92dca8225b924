"""Put on `nova.virt`'s path: Nova loads drivers from there only."""
