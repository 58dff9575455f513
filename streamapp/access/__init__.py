"""Who may use the server: tokens, how they are kept and checked, and the certificate that browsers talk to."""
