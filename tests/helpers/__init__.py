"""Code that several tests share and no user needs."""
