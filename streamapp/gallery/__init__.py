"""Who is who: how scores of several recognisers become one."""
