"""The Gradio page at /demo: four tabs over the streams and models of the running app. Needs streamapp[demo]."""
