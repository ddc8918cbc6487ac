/** What an environment or an app may be called; both become parts of S3 keys, ARNs and paths. */
export const NAME_PATTERN = /^[a-z][a-z0-9-]{0,19}$/

export const NAME_RULE = 'a lower-case letter, then up to 19 of a-z, 0-9 and "-"'

export function isName(text: string): boolean {
  return NAME_PATTERN.test(text)
}

/** The SSM document through which an app is deployed in an environment. */
export function documentName(environment: string, app: string): string {
  return `pybundle-${environment}-${app}`
}
