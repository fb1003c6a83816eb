"""How fast this machine trains: against its limits, laws and other libraries."""
