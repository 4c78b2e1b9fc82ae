/** The access key, where the gateway asks for one. Kept for this tab alone. */
const SLOT = 'face-vitals-key'

export function authorization(): Record<string, string> {
  const key = sessionStorage.getItem(SLOT)
  return key ? { Authorization: `Bearer ${key}` } : {}
}

export function rememberKey(key: string): void {
  sessionStorage.setItem(SLOT, key.trim())
}
