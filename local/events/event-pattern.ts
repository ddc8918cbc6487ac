/** An event pattern of EventBridge: each field lists what it may be. */
export type EventPattern = { [field: string]: EventPattern | readonly Matcher[] }

/** A value, or one condition by its name. */
type Matcher = string | number | boolean | null | Record<string, unknown>

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-content-based-filtering.html */
const CONDITIONS: Record<string, (value: unknown, operand: unknown) => boolean> = {
  prefix: (value, operand) => typeof value === 'string' && value.startsWith(String(operand)),
  suffix: (value, operand) => typeof value === 'string' && value.endsWith(String(operand)),
  'equals-ignore-case': (value, operand) =>
    typeof value === 'string' && value.toLowerCase() === String(operand).toLowerCase(),
  'anything-but': (value, operand) => value !== undefined && !isOneOf(value, [operand].flat() as Matcher[]),
  exists: (value, operand) => (value !== undefined) === operand,
}

export function matchesPattern(pattern: EventPattern, event: unknown): boolean {
  return Object.entries(pattern).every(([field, wanted]) => {
    const value = isObject(event) ? event[field] : undefined
    if (!isList(wanted)) return matchesPattern(wanted, value)
    // One element of a list is enough.
    return Array.isArray(value) ? value.some((one) => isOneOf(one, wanted)) : isOneOf(value, wanted)
  })
}

/** Refuses what this matcher does not know, rather than matching too much or too little. */
export function checkPattern(pattern: EventPattern, path: string): void {
  for (const [field, wanted] of Object.entries(pattern)) {
    if (!isList(wanted)) {
      checkPattern(wanted, `${path}.${field}`)
      continue
    }
    const unknown = wanted
      .filter(isObject)
      .flatMap(Object.keys)
      .find((name) => !CONDITIONS[name])
    if (unknown) throw new Error(`${path}.${field}: the local cloud does not know the condition "${unknown}"`)
  }
}

function isOneOf(value: unknown, wanted: readonly Matcher[]): boolean {
  return wanted.some((matcher) => {
    if (!isObject(matcher)) return matcher === value
    return Object.entries(matcher).every(([name, operand]) => CONDITIONS[name]?.(value, operand))
  })
}

const isList = (value: unknown): value is readonly Matcher[] => Array.isArray(value)

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
