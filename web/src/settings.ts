/** Language and appearance, remembered in this browser. */
export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const slot = (name: string): string => `face-vitals-${name}`

export function remembered(name: 'language' | 'theme'): string | null {
  try {
    return localStorage.getItem(slot(name))
  } catch {
    return null
  }
}

export function remember(name: 'language' | 'theme', value: string): void {
  try {
    localStorage.setItem(slot(name), value)
  } catch {
    // A browser that keeps nothing still shows the page.
  }
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme
}
