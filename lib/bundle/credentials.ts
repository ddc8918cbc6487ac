/** Takes user names, passwords and signatures out of every address in a text that somebody will read. */
export function maskCredentials(text: string): string {
  return text.replace(USER_INFO, '$1****@').replace(SIGNED, '$1****')
}

/** Up to the last "@" before the path: a password may have one, and an apostrophe. */
const USER_INFO = /(\w+:\/\/)[^/\s"]+@/g

/** What an index redirects to is often an address that is signed for a while. */
const SIGNED = /([?&][\w.-]*(?:signature|token|credential|password|secret|key)[\w.-]*=)[^&\s#"')]+/gi

/** The address without what only its owner may know. `git@`, as ssh has it, is no secret. */
export function withoutCredentials(url: string): string {
  return url.replace(/^((?:\w+\+)?(\w+):\/\/)([^/@]+)@/, (whole, start, scheme, user) =>
    scheme === 'ssh' && !user.includes(':') ? whole : start,
  )
}

/** `${NAME}` as pip fills it in; one that is not set stays as it is. */
export function fillVariables(text: string, environment = process.env): string {
  return text.replace(/\$\{([A-Z0-9_]+)\}/g, (whole, name) => environment[name] ?? whole)
}
