const TYPE =
  'ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\\.com'
const PUBLIC_KEY = new RegExp(`^(${TYPE}) AAAA[A-Za-z0-9+/]+={0,2}( [\\w@.+ -]{1,80})?$`)

/** Which of them are not what OpenSSH takes for a public key, on one line and without options. */
export function noPublicKeys(keys: readonly string[]): { index: number; what: string }[] {
  return keys.flatMap((key, index) => {
    const shown = JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}...` : key)
    const what = `is no public key as it stands in a .pub file ("ssh-ed25519 AAAA... ada@example.com"): ${shown}`
    return PUBLIC_KEY.test(key) ? [] : [{ index, what }]
  })
}
