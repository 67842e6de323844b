"""A simulated Sun whose causes are known, and the oracle that knows them."""
