"""The YAML that ships."""
