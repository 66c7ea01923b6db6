"""Where the faces are: detecting now and then, following in between, who is who."""
