"""Tables of the Glue Data Catalog as datasets: columns, partition keys and partition projection."""
