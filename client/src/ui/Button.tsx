import type { ComponentProps } from 'react'

const looks = {
  plain: 'border border-line bg-raised hover:bg-hover',
  primary: 'bg-accent text-on-accent hover:bg-accent-strong',
  danger: 'bg-danger text-on-accent hover:opacity-90',
  quiet: 'text-muted hover:bg-hover hover:text-ink',
}

export interface ButtonProps extends ComponentProps<'button'> {
  look?: keyof typeof looks
}

export function Button({ look = 'plain', type = 'button', className = '', ...props }: ButtonProps) {
  return (
    <button
      type={type}
      className={`inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3 text-sm font-medium transition-colors disabled:opacity-50 ${looks[look]} ${className}`}
      {...props}
    />
  )
}

/** A button that shows an icon alone; `label` is its accessible name and its tooltip. */
export function IconButton({
  label,
  look = 'quiet',
  type = 'button',
  className = '',
  ...props
}: ButtonProps & { label: string }) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={`inline-grid size-9 shrink-0 place-items-center rounded-lg transition-colors disabled:opacity-50 ${looks[look]} ${className}`}
      {...props}
    />
  )
}
