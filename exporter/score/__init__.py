"""How safe this machine and its applications look now, as one number from 0 to 1 and the parts that it is made of.

posture     what is known, what each part makes of it, and the score
recent      findings and logins of the last hours
reading     what is known, from the metrics of the role `security`
part        all of that together
"""
