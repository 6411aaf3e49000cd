"""The skeleton of a page: one HTML file that needs no network, with plots, pictures over time and tables."""
