import { cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, expect, it, vi } from 'vitest'
import { App } from '../App'
import { en as strings } from '../strings/en'

const shown = vi.hoisted(() => ({ broken: true }))
vi.mock('./JobScreen', () => ({
  JobScreen: () => {
    if (shown.broken) throw new TypeError('nothing to show')
    return 'The job'
  },
}))

afterEach(() => {
  cleanup()
  vi.restoreAllMocks()
  location.hash = ''
})

it('offers two ways on where a screen can show nothing', async () => {
  // React reports what was caught.
  vi.spyOn(console, 'error').mockImplementation(() => {})
  location.hash = '#job=abc'
  render(<App />)
  expect(screen.getByText(strings.failures.unshown)).toBeTruthy()
  shown.broken = false
  await userEvent.click(screen.getByRole('button', { name: strings.failures.retry }))
  expect(screen.getByText('The job')).toBeTruthy()
  cleanup()

  shown.broken = true
  render(<App />)
  await userEvent.click(screen.getByRole('button', { name: strings.failures.back }))
  expect(screen.getByText(/One video of your face/)).toBeTruthy()
  expect(location.hash).toBe('')
})
