import { useEffect, useRef, type ReactNode } from 'react'

/** A screen's heading; takes the focus, so that screen readers announce the screen. */
export function Heading({ children, focus = true }: { readonly children: ReactNode; readonly focus?: boolean }) {
  const place = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (focus) place.current?.focus()
  }, [focus])
  return (
    <h1 ref={place} tabIndex={-1}>
      {children}
    </h1>
  )
}
