/** What a resource is to those that refer to it. */
export interface LocalResource {
  /** What `Ref` gives. */
  ref: string
  /** What `Fn::GetAtt` gives. */
  attributes: Record<string, string>
}

export interface Scope {
  pseudo: Record<string, string>
  resources: ReadonlyMap<string, LocalResource>
}

type Arguments = unknown

const FUNCTIONS: Record<string, (given: Arguments, scope: Scope) => unknown> = {
  Ref: (name, scope) => refer(String(name), scope),
  'Fn::GetAtt': (given, scope) => attribute(given, scope),
  'Fn::Join': (given, scope) => {
    const [separator, parts] = resolve(given, scope) as [string, string[]]
    return parts.join(separator)
  },
  'Fn::Split': (given, scope) => {
    const [separator, text] = resolve(given, scope) as [string, string]
    return text.split(separator)
  },
  'Fn::Select': (given, scope) => {
    const [index, items] = resolve(given, scope) as [number | string, unknown[]]
    return items[Number(index)]
  },
  'Fn::Sub': (given, scope) => substitute(given, scope),
}

/** A value of the template with its intrinsic functions worked out. */
export function resolve(value: unknown, scope: Scope): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => resolve(item, scope)).filter((item) => item !== undefined)
  }
  if (typeof value !== 'object' || value === null) return value
  const [[name = '', given] = [], ...others] = Object.entries(value)
  if (others.length === 0 && (name === 'Ref' || name.startsWith('Fn::'))) {
    const apply = FUNCTIONS[name]
    if (!apply) throw new Error(`the local cloud does not know ${name}`)
    return apply(given, scope)
  }
  const members = Object.entries(value).map(([key, member]) => [key, resolve(member, scope)])
  return Object.fromEntries(members.filter(([, member]) => member !== undefined))
}

function refer(name: string, { pseudo, resources }: Scope): string | undefined {
  // It takes away the property that it is the value of.
  if (name === 'AWS::NoValue') return undefined
  const found = pseudo[name] ?? resources.get(name)?.ref
  if (found !== undefined) return found
  throw new Error(`Ref to "${name}", which the local cloud does not have`)
}

function attribute(given: Arguments, { resources }: Scope): string {
  const [name = '', path = ''] = Array.isArray(given) ? given.map(String) : String(given).split(/\.(.*)/s)
  const found = resources.get(name)?.attributes[path]
  if (found !== undefined) return found
  throw new Error(`attribute "${path}" of "${name}", which the local cloud does not have`)
}

function substitute(given: Arguments, scope: Scope): string {
  const [text, variables] = Array.isArray(given) ? given : [given, {}]
  const own = resolve(variables, scope) as Record<string, string>
  return String(text).replace(/\$\{(!?)([^}]+)\}/g, (_whole, isLiteral, name: string) => {
    if (isLiteral) return `\${${name}}`
    const value = own[name] ?? (name.includes('.') ? attribute(name, scope) : refer(name, scope))
    return String(value)
  })
}
