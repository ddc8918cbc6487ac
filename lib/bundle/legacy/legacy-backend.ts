/**
 * A build backend (PEP 517) for source trees of pip's early years: `setup.py install`, as pip ran it then, into a folder,
 * and that folder as a wheel. `SETUPTOOLS` is a wheel of setuptools, which can be imported as it is.
 */
export const LEGACY_BACKEND = `
import base64, hashlib, os, re, sys, sysconfig, tempfile, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory() as stage:
        folders = {scheme: os.path.join(stage, scheme) for scheme in ("lib", "scripts", "data", "headers")}
        run_setup(stage, folders)
        return pack(wheel_directory, folders)

def get_requires_for_build_wheel(config_settings=None):
    return []

def run_setup(stage, folders):
    sys.path[:0] = [SETUPTOOLS, os.getcwd()]
    import setuptools
    from setuptools.command.install_scripts import install_scripts
    initialize = install_scripts.initialize_options
    def without_entry_points(self):
        initialize(self)
        self.no_ep = True  # pip writes those
    install_scripts.initialize_options = without_entry_points
    targets = ["--install-%s=%s" % item for item in folders.items()]
    sys.argv = ["setup.py", "-q", "build", "-b", os.path.join(stage, "build"), "-e", "python",
                "install", "--single-version-externally-managed", "--no-compile",
                "--record", os.path.join(stage, "record")] + targets
    script = os.path.abspath("setup.py")
    with open(script, "rb") as source:
        exec(compile(source.read(), script, "exec"), {"__file__": script, "__name__": "__main__"})

def pack(wheel_directory, folders):
    files = {scheme: dict(read_folder(folder)) for scheme, folder in folders.items()}
    egg = [name for name in files["lib"] if re.match(r"[^/]+\\.egg-info(/PKG-INFO)?$", name)][0]
    egg = egg.split("/")[0]
    library = {name: content for name, content in files["lib"].items() if name.split("/")[0] != egg}
    info = {name[len(egg) + 1:]: content.decode("utf-8", "replace")
            for name, content in files["lib"].items() if name.split("/")[0] == egg}
    said = info.get("PKG-INFO", info.get("", ""))
    field = lambda name: (re.findall(r"(?m)^%s: (.*)$" % name, said) or [""])[0].strip()
    base = "%s-%s" % (re.sub(r"[^A-Za-z0-9.]+", "_", field("Name")), re.sub(r"[^A-Za-z0-9.+!]+", "_", field("Version")))
    is_native = any(name.endswith((".so", ".dylib")) for name in library)
    cpython = "cp%d%d" % sys.version_info[:2]
    platform = re.sub("[-.]", "_", sysconfig.get_platform())
    tag = "%s-%s-%s" % (cpython, cpython, platform) if is_native else "py3-none-any"
    members = dict(library)
    for scheme in ("scripts", "data", "headers"):
        members.update(("%s.data/%s/%s" % (base, scheme, name), content) for name, content in files[scheme].items())
    add = lambda name, text: members.update({"%s.dist-info/%s" % (base, name): text.encode()})
    add("METADATA", metadata(field, info.get("requires.txt", "")))
    add("WHEEL", "Wheel-Version: 1.0\\nGenerator: pybundle\\nRoot-Is-Purelib: %s\\nTag: %s\\n" % (str(not is_native).lower(), tag))
    for name in ("entry_points.txt", "top_level.txt"):
        if info.get(name):
            add(name, info[name])
    add("RECORD", record(members, base))
    wheel = "%s-%s.whl" % (base, tag)
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members, key=lambda name: (".dist-info/" in name, name)):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.external_attr = (0o100755 if ".data/scripts/" in name else 0o100644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, members[name])
    return wheel

def metadata(field, requires):
    lines = ["Metadata-Version: 2.1"]
    for name in ("Name", "Version", "Summary", "Home-page", "License", "Requires-Python"):
        if field(name) not in ("", "UNKNOWN"):
            lines.append("%s: %s" % (name, field(name)))
    extra = marker = ""
    for line in filter(None, map(str.strip, requires.splitlines())):
        if line.startswith("["):
            extra, _, marker = line[1:-1].partition(":")
            if extra and "Provides-Extra: " + extra not in lines:
                lines.append("Provides-Extra: " + extra)
            continue
        conditions = (["(%s)" % marker] if marker else []) + (['extra == "%s"' % extra] if extra else [])
        lines.append("Requires-Dist: " + " ; ".join([line] + ([" and ".join(conditions)] if conditions else [])))
    return "\\n".join(lines) + "\\n"

def record(members, base):
    hashed = lambda content: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    quoted = lambda name: '"%s"' % name.replace('"', '""') if re.search('[",]', name) else name
    lines = ["%s,sha256=%s,%d" % (quoted(name), hashed(members[name]), len(members[name])) for name in sorted(members)]
    return "\\n".join(lines + [base + ".dist-info/RECORD,,", ""])

def read_folder(folder):
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as source:
                yield os.path.relpath(path, folder).replace(os.sep, "/"), source.read()
`
