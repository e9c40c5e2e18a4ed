SELECT celeriac.state(%s)
