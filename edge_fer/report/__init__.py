"""Pages and pictures of results; everything here is drawn from documents and tables."""
