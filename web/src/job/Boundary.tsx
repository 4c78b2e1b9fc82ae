import { Component, type ReactNode } from 'react'

interface Props {
  readonly children: ReactNode
  /** Shown in place of what could not be shown; `again` tries it anew. */
  readonly fallback: (again: () => void) => ReactNode
}

/** Keeps what can't be shown from taking the whole page with it. */
export class Boundary extends Component<Props, { readonly broken: boolean }> {
  override state = { broken: false }

  static getDerivedStateFromError(): { broken: boolean } {
    return { broken: true }
  }

  override render(): ReactNode {
    const again = (): void => this.setState({ broken: false })
    return this.state.broken ? this.props.fallback(again) : this.props.children
  }
}
