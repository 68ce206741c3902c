"""Real front ends with a real browser: JupyterLab and Notebook 7, driven through Chromium."""
