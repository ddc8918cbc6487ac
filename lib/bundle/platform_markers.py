"""PEP 508's markers as a platform has them, for whichever `packaging` is at hand."""

# A platform names no patch release. Python has had fewer of any minor version.
PATCHES = range(31)


def use(markers, environment):
  """From now on a marker holds where it does on some patch release of the platform's Python.

  What is then installed in vain on another patch release does no harm; what is missing on one does.
  """
  evaluate = markers.Marker.evaluate

  def evaluate_for_platform(marker, given=None, *rest, **options):
    asked = {**environment, **(given or {})}
    return any(
      evaluate(marker, {**asked, **versions}, *rest, **options)
      for versions in patch_versions(str(marker), environment["python_version"])
    )

  markers.Marker.evaluate = evaluate_for_platform
  markers.default_environment = lambda: dict(environment)


def patch_versions(marker, python):
  if "full_version" not in marker and "implementation_version" not in marker:
    return [{}]
  versions = [f"{python}.{patch}" for patch in PATCHES]
  return [{"python_full_version": version, "implementation_version": version} for version in versions]
