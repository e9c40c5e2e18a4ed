SELECT FROM {parent} AS celeriac_parent WHERE {is_same}
