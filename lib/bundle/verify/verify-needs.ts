import { execa } from 'execa'
import type { Python } from '../find-python.ts'
import { markerEnvironment, PYTHON_MODULES } from '../markers.ts'
import { LATE_PATCH, type Platform } from '../platform.ts'
import type { WheelContents } from './read-wheel.ts'

/** One package asked for by the requirements, or by another package. */
export interface Need {
  /** The normalized name of who asks, with the extra that makes it ask: `celery[redis]`; null: the requirements. */
  by: string | null
  /** As written there. */
  requirement: string
  /** Normalized, of what is asked for. */
  name: string
  /** The version that is there. */
  found: string | null
  /** Whether that version will do. */
  isMet: boolean
}

export interface Needs {
  needs: Need[]
  /** Statements about single wheels, by their file. */
  mistakes: { file: string; what: string }[]
  /** What is strange, and does no harm: pip only warns of it. */
  notes: string[]
}

export interface NeedsQuestion {
  wheels: readonly WheelContents[]
  /** PEP 508, each: what the requirements name. */
  asked: readonly string[]
  platform: Platform
  python: Python
}

/**
 * Versions, specifiers and markers are compared by packaging, the reference implementation, which every pip carries.
 * A package's extras count once something asks for them; what none asks for is asked for what it needs, too.
 */
const PROGRAM = `
import json, sys
question = json.load(sys.stdin)
sys.path[:0] = [question["pip"], question["modules"]]
from pip._vendor.packaging import markers
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import InvalidVersion, Version

import platform_markers

platform_markers.use(markers, question["markers"])
needs, mistakes, notes, wheels = [], [], [], {}

def parse(text, file=None):
    try:
        return Requirement(text)
    except InvalidRequirement:
        mistakes.append({"file": file, "what": 'it needs "%s", which is not a requirement' % text})

def told(requirement):
    # An address may carry credentials.
    return requirement.name if requirement.url else str(requirement)

def applies(requirement, *extras):
    if requirement.marker is None:
        return "" in extras
    return any(requirement.marker.evaluate({"extra": extra}) for extra in extras)

def disagree(wheel):
    said = wheel["metadata"]
    if canonicalize_name(said["name"]) != wheel["name"]:
        yield 'its metadata is of "%s"' % said["name"]
    try:
        if Version(said["version"]) != Version(wheel["version"]):
            yield "its metadata is of version %s" % said["version"]
    except InvalidVersion:
        yield 'its version "%s" is none' % said["version"]
    try:
        if not SpecifierSet(said.get("requiresPython", "")).contains(question["python"], prereleases=True):
            yield "it needs Python %s" % said["requiresPython"]
    except InvalidSpecifier:
        yield 'it needs Python "%s", which is not a version' % said["requiresPython"]

for wheel in question["wheels"]:
    mistakes += [{"file": wheel["file"], "what": what} for what in disagree(wheel)]
    parsed = (parse(text, wheel["file"]) for text in wheel["metadata"]["requires"])
    wheels[wheel["name"]] = dict(wheel, needs=[requirement for requirement in parsed if requirement])

def is_met(requirement, wheel):
    try:
        return wheel is not None and requirement.specifier.contains(Version(wheel["version"]), prereleases=True)
    except InvalidVersion:
        return False

visited = set()
def visit(name, extra):
    if (name, extra) in visited:
        return []
    visited.add((name, extra))
    by = "%s[%s]" % (name, extra) if extra else name
    # An older packaging compares extras as they are written.
    spelled = [given for given in wheels[name]["metadata"]["extras"] if canonicalize_name(given) == extra]
    return [(by, need) for need in wheels[name]["needs"]
            if applies(need, extra, *spelled) and not (extra and applies(need, ""))]

def unknown_extras(requirement, wheel):
    given = [canonicalize_name(extra) for extra in wheel["metadata"]["extras"]]
    for extra in sorted(requirement.extras):
        if canonicalize_name(extra) not in given:
            has = ", ".join(wheel["metadata"]["extras"]) or "none"
            notes.append('%s has no extra "%s"; it has: %s' % (wheel["name"], extra, has))

def walk(queue):
    while queue:
        by, requirement = queue.pop(0)
        name = canonicalize_name(requirement.name)
        wheel = wheels.get(name)
        needs.append({"by": by, "requirement": told(requirement), "name": name,
                      "found": wheel and wheel["version"], "isMet": is_met(requirement, wheel)})
        if wheel:
            unknown_extras(requirement, wheel)
            for extra in [""] + sorted(canonicalize_name(extra) for extra in requirement.extras):
                queue += visit(name, extra)

roots = [parse(text) for text in question["asked"]]
walk([(None, root) for root in roots if root and applies(root, "")])
for name in sorted(wheels):
    walk(visit(name, ""))
# A bundle's roots are names alone: what nothing else asks for may be there for an extra of one.
reached = {need["name"] for need in needs}
for wheel in sorted(wheels):
    for extra in wheels[wheel]["metadata"]["extras"]:
        for by, need in visit(wheel, canonicalize_name(extra)):
            name = canonicalize_name(need.name)
            if name in wheels and name not in reached and is_met(need, wheels[name]):
                needs.append({"by": by, "requirement": told(need), "name": name, "found": wheels[name]["version"], "isMet": True})
json.dump({"needs": needs, "mistakes": [mistake for mistake in mistakes if mistake["file"]],
           "notes": sorted(set(notes))}, sys.stdout)
`

/** Who needs what, under the platform's markers, and whether it is there. */
export async function resolveNeeds({ wheels, asked, platform, python }: NeedsQuestion): Promise<Needs> {
  const question = {
    pip: python.pip,
    modules: PYTHON_MODULES,
    python: `${platform.python}.${LATE_PATCH}`,
    markers: markerEnvironment(platform),
    asked,
    wheels: wheels.map(({ file, name, version, metadata }) => ({ file, name, version, metadata })),
  }
  const { stdout } = await execa(python.executable, ['-IB', '-c', PROGRAM], {
    input: JSON.stringify(question),
  })
  return JSON.parse(stdout)
}
