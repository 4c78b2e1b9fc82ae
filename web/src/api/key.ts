/** The access key, if the gateway requires one. Kept for this tab only. */
const SLOT = 'face-vitals-key'

export function authorization(): Record<string, string> {
  const key = sessionStorage.getItem(SLOT)
  return key ? { Authorization: `Bearer ${key}` } : {}
}

export function rememberKey(key: string): void {
  sessionStorage.setItem(SLOT, key.trim())
}
