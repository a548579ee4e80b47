"""What this machine and its applications depend on, and which of it is sick.

    settings   exporter.yml: dependencies, how each is asked, what each needs
    graph      who needs whom: cycles, causes
    breaker    when something sick is asked again: the circuit breaker
    status     what is known of each, and when it is asked next
    report     what is known as metrics, and as words
    part       asks them, in the background, and follows the plan

All but `part` is pure: answers and times in, statuses out. Only what stands under `health:` is asked in the background.
"""
