"""The HTTP side of the preview: requests, who may see what, and a server with bounds."""
