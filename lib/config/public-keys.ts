const TYPE =
  'ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\\.com'
const PUBLIC_KEY = new RegExp(`^(${TYPE}) AAAA[A-Za-z0-9+/]+={0,2}( [\\w@.+ -]{1,80})?$`)
/** Of each kind, its name included: https://www.rfc-editor.org/rfc/rfc4253#section-6.6 and OpenSSH's PROTOCOL.u2f. */
const FIELDS: Record<string, number> = { 'ssh-ed25519': 2, 'sk-ecdsa-sha2-nistp256@openssh.com': 4 }

/** Which of them are not what OpenSSH takes for a public key, on one line and without options. */
export function noPublicKeys(keys: readonly string[]): { index: number; what: string }[] {
  return keys.flatMap((key, index) => {
    const shown = JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}...` : key)
    const what = `is no public key as it stands in a .pub file ("ssh-ed25519 AAAA... ada@example.com"): ${shown}`
    return PUBLIC_KEY.test(key) && isWhole(key) ? [] : [{ index, what }]
  })
}

/** A key that lost a character would be one that nobody has, or stop whoever decodes it. */
function isWhole(key: string): boolean {
  const [type = '', text = ''] = key.split(' ')
  const blob = Buffer.from(text, 'base64')
  if (blob.toString('base64') !== text) return false
  const fields: Buffer[] = []
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) return false
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return false
    fields.push(blob.subarray(at + 4, end))
    at = end
  }
  return fields[0]?.toString() === type && fields.length === (FIELDS[type] ?? 3)
}
